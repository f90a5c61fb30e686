"""The cases, one module a family; `golden.spec` says how they are written."""
