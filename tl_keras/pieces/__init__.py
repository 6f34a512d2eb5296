"""Offers the parts of a run one by one, for programs: data, runs, students, freezing and features."""
