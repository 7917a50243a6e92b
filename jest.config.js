// Two kinds of tests: `unit` runs in the test's own process, `process` starts real managers and needs the projects
// that globalSetup makes.
const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    {
      jsc: {
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
        target: 'es2022',
        keepClassNames: true,
      },
      module: { type: 'commonjs' },
      sourceMaps: 'inline',
    },
  ],
};

const common = {
  testEnvironment: 'node',
  transform,
  modulePathIgnorePatterns: ['<rootDir>/.work/', '<rootDir>/examples/', '<rootDir>/npm/', '<rootDir>/target/'],
};

module.exports = {
  testTimeout: 30_000,
  // Process tests measure how fast others answer: two such files at once on a small machine disturb each other.
  maxWorkers: 1,
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/__test__/*.test.ts'] },
    {
      ...common,
      displayName: 'process',
      testMatch: ['<rootDir>/__test__/{engine,managers}/**/*.test.ts'],
      globalSetup: '<rootDir>/__test__/support/global-setup.js',
      setupFilesAfterEnv: ['<rootDir>/__test__/support/bounds.ts'],
    },
  ],
};
