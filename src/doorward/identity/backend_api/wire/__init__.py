"""The structs of the Backend API, one file per resource."""
