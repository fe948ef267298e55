"""The results folder and its numbers: the only writer, typed records, statistics, tables, comparison."""
