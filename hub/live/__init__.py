"""Live queries and mutations: from the change feed to what each session is shown."""
