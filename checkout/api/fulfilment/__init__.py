"""What a warehouse does over the API: sees what is to be sent, and says what was."""
