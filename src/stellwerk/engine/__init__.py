"""Pure decisions: snapshot in, decision with its reason out. No clock, no chance, no I/O."""
