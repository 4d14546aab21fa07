"""What a Spark session needs from the machine: a Java and Delta's jars, made at set-up and found offline."""
