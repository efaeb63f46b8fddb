"""What the scripts share. Imports run down: nothing here imports train.py, test.py, model.py or data.py."""
