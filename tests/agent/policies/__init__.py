"""Tests of metta.agent.policies."""
