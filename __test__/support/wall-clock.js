// Sets this process's wall clock, as an administrator or NTP does: by so many ms from what is true. Timers and the monotonic
// clock are not touched, and neither is what native code sees.
const TrueDate = Date;
let shift = 0;

class ShiftedDate extends TrueDate {
  constructor(...args) {
    super(...(args.length === 0 ? [TrueDate.now() + shift] : args));
  }

  static now() {
    return TrueDate.now() + shift;
  }
}

exports.setClock = ms => {
  shift = ms;
  globalThis.Date = ShiftedDate;
};
