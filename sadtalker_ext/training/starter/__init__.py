"""Training recipes for the networks of the starter engine: SpeechToExpression and PoseCvae."""
