"""What a shop says of itself: the texts that it must show, and the words of its first page."""
