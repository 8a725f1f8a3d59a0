"""One loop, repeatable and resumable to the bit."""
