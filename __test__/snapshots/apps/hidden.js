const { stay, take } = require('./probe');

take(process.env.SNAPSHOT);
stay();
