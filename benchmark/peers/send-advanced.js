// Node's own channel with structured clone instead of JSON.
const { primary, worker } = require('./send');

module.exports = { name: 'process.send, advanced', settings: { serialization: 'advanced' }, primary, worker };
