"""What has to hold: at every moment of a simulated league (`watching`), and when all is quiet (`checks`)."""
