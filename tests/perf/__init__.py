"""`make perf`: what noise-bench costs, measured side by side with what else one would use."""
