"""`animeverse serve`: Prefect's server and worker as child processes, with a watchdog."""
