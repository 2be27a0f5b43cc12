"""What a program wants to buy: read strictly, quoted without a trace, or placed once."""
