"""Video files in: fetched, validated and decoded into frames."""
