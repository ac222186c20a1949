--- Appends to `reply` for each run "address<TAB>record", or {that, inbox, journal} where a run of the call has any. Fresh runs cost one EXISTS for all of them.
local function load(shard, addresses, records, reply)
  local inbox, journal = shard .. "i:", shard .. "j:"
  local lists = {}
  for n = 1, #addresses do
    lists[2 * n - 1] = inbox .. addresses[n]
    lists[2 * n] = journal .. addresses[n]
  end
  local any = call("EXISTS", unpack(lists)) > 0
  for n = 1, #addresses do
    local run = addresses[n] .. "\t" .. records[n]
    if any then run = { run, call("LRANGE", lists[2 * n - 1], 0, -1), call("LRANGE", lists[2 * n], 0, -1) } end
    reply[#reply + 1] = run
  end
end
