"""The parts of a command line that every member program shares: options, exit codes, output, enrolment."""
