"""Tests of metta.agent.encoders."""
