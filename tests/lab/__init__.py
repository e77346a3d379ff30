"""Tests of metta.lab."""
