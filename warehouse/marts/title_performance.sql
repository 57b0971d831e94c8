-- marts.title_performance: admissions and revenue of each title, and sales of its merchandise around its run.
-- grain    title_id
-- reads    gold.dim_product, gold.fct_cinema_attendance, gold.fct_sales, marts.product_daily, marts.screenings,
--          marts.title_current, marts.ratio, marts.utc_day
-- rebuild  never: a view
-- materialize  view
-- Occupancy is a ratio of sums over the screenings held (marts.screenings); concession per cap = concession ÷
-- admissions. Merchandise = sales of products whose version at the sale belonged to the title. Halo days: from 28 days
-- before the first day of the run to 28 days after its last day (of an open run: until now), within the history of the
-- shop. Halo uplift = mean daily merchandise net sales of halo days ÷ that of all other days.
-- column  title_id: the title
-- column  title: current display name
-- column  status: `announced`, `showing` or `ended`
-- column  run_start: first day of the run in our cinema
-- column  run_end: last day of the run in our cinema
-- column  bookings: number of bookings
-- column  cancellations: number of cancellations
-- column  admissions: seats of bookings less cancellations
-- column  ticket_revenue_amount: ticket revenue
-- column  concession_amount: concession sales, such as popcorn
-- column  concession_per_cap: concession ÷ admissions
-- column  screenings_held: screenings that began by the watermark
-- column  held_seats: seats of the screenings held, where known
-- column  occupancy: admissions of screenings held ÷ their seats, null if no seats are known
-- column  merchandise_net_sales_amount: net sales of the title's merchandise on all days
-- column  halo_days: days of the shop's history that are halo days of the title
-- column  halo_net_sales_amount: net sales of its merchandise on them
-- column  halo_share: halo net sales ÷ merchandise net sales
-- column  halo_uplift: daily merchandise net sales on halo days ÷ on other days; null without either
with
titles as (
    select title_id, title, status, run_start, run_end from marts.title_current
),
attendance as (
    select
        title_id,
        count(*) filter (event_type = 'booking') as bookings,
        count(*) filter (event_type = 'cancellation') as cancellations,
        sum(admissions)::decimal(38, 0) as admissions,
        sum(ticket_revenue_amount) as ticket_revenue_amount,
        sum(concession_amount) as concession_amount,
    from gold.fct_cinema_attendance
    group by title_id
),
screened as (
    select
        title_id,
        count(*) filter (is_held) as screenings_held,
        sum(held_seats)::bigint as held_seats,
        sum(seated_admissions) as seated_admissions,
    from marts.screenings
    group by title_id
),
merchandise as (
    select
        dim_product.title_id,
        marts.utc_day(fct_sales.event_time) as date,
        sum(fct_sales.net_sales_amount) as net_sales_amount,
    from gold.fct_sales
    join gold.dim_product using (product_key)
    where dim_product.title_id is not null
    group by all
),
shop as (
    select min(date) as first_date, max(date) as last_date from marts.product_daily
),
halos as (
    select
        titles.title_id,
        greatest(titles.run_start - 28, shop.first_date) as from_date,
        least(coalesce(titles.run_end + 28, shop.last_date), shop.last_date) as to_date,
        shop.last_date - shop.first_date + 1 as shop_days,
    from titles
    cross join shop
    where titles.run_start is not null and shop.first_date is not null
),
sold as (
    select
        merchandise.title_id,
        sum(merchandise.net_sales_amount) as net_sales_amount,
        coalesce(
            sum(merchandise.net_sales_amount) filter (merchandise.date between halos.from_date and halos.to_date), 0
        ) as halo_amount,
    from merchandise
    left join halos using (title_id)
    group by merchandise.title_id
),
joined as (
    select
        titles.*,
        attendance.* exclude (title_id),
        screened.* exclude (title_id),
        coalesce(sold.net_sales_amount, 0) as merchandise_amount,
        coalesce(sold.halo_amount, 0) as halo_amount,
        case when halos.title_id is not null then greatest(halos.to_date - halos.from_date + 1, 0) end as halo_days,
        halos.shop_days,
    from titles
    left join attendance using (title_id)
    left join screened using (title_id)
    left join sold using (title_id)
    left join halos using (title_id)
)
select
    title_id,
    title,
    status,
    run_start,
    run_end,
    coalesce(bookings, 0) as bookings,
    coalesce(cancellations, 0) as cancellations,
    coalesce(admissions, 0) as admissions,
    coalesce(ticket_revenue_amount, 0) as ticket_revenue_amount,
    coalesce(concession_amount, 0) as concession_amount,
    marts.ratio(concession_amount, admissions) as concession_per_cap,
    coalesce(screenings_held, 0) as screenings_held,
    coalesce(held_seats, 0) as held_seats,
    marts.ratio(seated_admissions, held_seats) as occupancy,
    merchandise_amount as merchandise_net_sales_amount,
    halo_days,
    case when halo_days is not null then halo_amount end as halo_net_sales_amount,
    case when halo_days is not null then marts.ratio(halo_amount, merchandise_amount) end as halo_share,
    marts.ratio(
        marts.ratio(halo_amount, halo_days),
        marts.ratio(merchandise_amount - halo_amount, shop_days - halo_days)
    ) as halo_uplift,
from joined;
