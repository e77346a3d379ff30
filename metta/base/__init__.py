"""What every other package stands on: configuration, errors, seeds, files and addresses. Imports nothing heavy."""
