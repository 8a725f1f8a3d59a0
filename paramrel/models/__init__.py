"""ParamReL: divergences, self-encoder, objective, bounds, and what one does with a trained model."""
