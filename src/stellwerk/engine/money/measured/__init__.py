"""The measured bill: a fleet's invoice divided over the GPU-time that was measured, to the cent."""
