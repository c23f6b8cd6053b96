"""What `--model` may name beside the harness's own: a file each."""
