"""`selkit eval`: one model or stored outputs, on benchmarks and judged test sets."""
