const { stay, take } = require('./probe');

take(`${process.env.SNAPSHOT}-${process.env[process.env.instance_var]}`);
stay();
