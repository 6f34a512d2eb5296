"""A pytest option for CI, `--fail-on-skips`: a test that is skipped, but for want of what no CI machine has, fails the run.

Without it a package that no longer installs takes its tests away, and nobody sees it.
"""

# What the reason of a skip begins with where that is all right.
ALLOWED = (
    "needs a GPU",
    "needs a machine without a GPU",
    "needs a TPU",
    "needs a processor with AMX",
    "needs the internet",
    "needs real weights and photos",  # which have no licence to be in the repository: TL_KERAS_TEST_DATA
)


def pytest_addoption(parser):
    parser.addoption("--fail-on-skips", action="store_true", help=f"fail on skips, but for: {', '.join(ALLOWED)}")


def unexpected(config) -> list[str]:
    """Returns place and reason of each skip that is not allowed; none where the option is not given."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or not config.getoption("--fail-on-skips"):  # a worker of pytest-xdist has no reporter
        return []
    found = set()
    for report in reporter.stats.get("skipped", ()):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(ALLOWED):
            found.add(f"{report.nodeid}: {reason}")
    return sorted(found)


def pytest_sessionfinish(session, exitstatus):
    if unexpected(session.config) and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    if skips := unexpected(config):
        terminalreporter.section("skips that fail this run")
        terminalreporter.write_line("\n".join(skips))
