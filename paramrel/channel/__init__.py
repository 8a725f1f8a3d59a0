"""The Gaussian channel: schedules, output distributions, flows, losses, samplers."""
