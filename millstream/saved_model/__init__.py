"""SavedModel: graphs, variables and files of a model in one folder, for every program that is to use it."""
