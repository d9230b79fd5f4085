"""When to do what: pure decisions, with the time and the dice as arguments."""
