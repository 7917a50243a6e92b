// Calls that wait for their answers, for peers that carry messages and leave it to their users to tell whose answer one is.

/** Numbers are used again, so that the table stays an array without holes. */
class PendingCalls {
  #resolvers = [];
  #free = [];

  /** A promise of the answer to the message that `send` sends under the number it is given. */
  make(send) {
    return new Promise(resolve => {
      const number = this.#free.pop() ?? this.#resolvers.length;
      this.#resolvers[number] = resolve;
      send(number);
    });
  }

  settle(number, result) {
    const resolve = this.#resolvers[number];
    this.#resolvers[number] = undefined;
    this.#free.push(number);
    resolve(result);
  }
}

module.exports = { PendingCalls };
