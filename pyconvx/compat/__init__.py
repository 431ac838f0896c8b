"""Other libraries' interfaces, so that one import line moves a program over."""
