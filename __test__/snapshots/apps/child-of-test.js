require('./probe').take(process.env.SNAPSHOT);
