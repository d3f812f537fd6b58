"""Pure decisions: facts and a moment in, a decision with a reason code out. No I/O, no clock (DESIGN §3.8)."""
