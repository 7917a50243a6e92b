// What the benchmark's commands can be told: --rounds=7 --duration=450 --peers=agent,send --only=latency,app --no-write
const given = new Map(
  process.argv
    .slice(2)
    .filter(argument => argument.startsWith('--'))
    .map(argument => {
      const [name, value = ''] = argument.slice(2).split('=');
      return [name, value];
    }),
);

/** Refuses what it does not know, so that a typing error does not cost ten minutes. */
function checkOptions(known) {
  const unknown = [...given.keys()].filter(name => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`unknown option --${unknown[0]}; there are --${known.join(', --')}`);
  }
}

function number(name, fallback) {
  const value = given.has(name) ? Number(given.get(name)) : fallback;
  if (!(value > 0)) {
    throw new Error(`--${name} must be a number above 0`);
  }
  return value;
}

/** The names given, or undefined for all. */
function names(name) {
  return given.has(name) ? given.get(name).split(',').filter(Boolean) : undefined;
}

module.exports = { checkOptions, number, names, has: name => given.has(name) };
