// Managers take seconds to start a group; each wait inside a test has a bound of its own below this one.
jest.setTimeout(120_000);
