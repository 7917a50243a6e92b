import { Controller, Get, Inject, Query } from '@midwayjs/core';
import { here } from '../here';
import { RowsService } from '../service/rows';
import { thrownBy } from '../thrown';

@Controller('/rows')
export class RowsController {
  @Inject()
  table: RowsService;

  /** The first rows, as many as are taken. */
  @Get('/first')
  async first(@Query('id') id: string, @Query('take') take: string, @Query('of') of: string) {
    const rows: number[] = [];
    const pids = new Set<number>();
    let dates = true;
    for await (const { row, pid, at } of this.table.rows(id, Number(of))) {
      rows.push(row);
      pids.add(pid);
      dates &&= at instanceof Date && at.getTime() === row;
      if (rows.length === Number(take)) {
        break;
      }
    }
    return { ...here, rows, pids: [...pids], dates };
  }

  @Get('/failing')
  async failing(@Query('id') id: string, @Query('at') at: string) {
    const rows: number[] = [];
    const thrown = await thrownBy(async () => {
      for await (const { row } of this.table.rows(id, 1_000, Number(at))) {
        rows.push(row);
      }
    });
    return { ...here, rows, thrown };
  }

  @Get('/reading')
  async reading(@Query('id') id: string) {
    return { ...here, reading: await this.table.reading(id) };
  }
}
