"""The networks: model store, faces, masks, gender, motion gate and their scheduling."""
