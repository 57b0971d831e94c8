"""`animeverse serve`: Prefect's server, worker and watchdog as child processes."""
