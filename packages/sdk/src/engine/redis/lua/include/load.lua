--- Appends to `reply` for each run "address<TAB>record", or {that, inbox, journal} where it may have one. Fresh runs cost one look for all of them.
local function load(shard, addresses, records, reply)
  local laden = call("SMISMEMBER", shard .. "b", unpack(addresses))
  for n = 1, #addresses do
    local run = addresses[n] .. "\t" .. records[n]
    if laden[n] == 1 then
      run = { run, call("LRANGE", shard .. "i:" .. addresses[n], 0, -1), call("LRANGE", shard .. "j:" .. addresses[n], 0, -1) }
    end
    reply[#reply + 1] = run
  end
end
