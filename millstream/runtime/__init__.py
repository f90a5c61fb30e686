"""Running graphs: sessions, plans, compiled stages, the state of variables, devices."""
