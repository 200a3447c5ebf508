"""What an operation of a recipe is: its base class, the types of parameters, effects on labels, drawn windows."""
