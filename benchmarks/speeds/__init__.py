"""What benchmarks/speed.py measures, a file for each part of ser: each row is a function that gives its `Result`s."""
