"""Silver rows to gold: a star schema that late data corrects, its marts, and the published file. DuckDB SQL."""
