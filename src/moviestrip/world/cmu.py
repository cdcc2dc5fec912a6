"""Motion capture of the CMU Graphics Lab, from the ASF/AMC files a user brings."""
