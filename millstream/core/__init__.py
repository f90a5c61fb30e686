"""The graph without numerics: dtypes, shapes, operations, graphs, dispatch, differentiation."""
